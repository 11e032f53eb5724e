from litelens.cli import main

main()
