import os
from dataclasses import replace

import pytest

from benchmarks.measuring.others import CpuTime

HZ = os.sysconf("SC_CLK_TCK")


def stat(user: int = 0, idle: int = 0, steal: int = 0) -> dict[str, str]:
    return {
        "proc/stat": f"cpu  {user} 0 0 {idle} 500 0 0 {steal} 9 9\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 1 2 3\n"
    }


@pytest.mark.parametrize(
    "user_s, steal_s, own_s, share",
    [
        (0, 0, 0, 0.0),
        (10, 0, 10, 0.0),
        (10, 0, 4, 0.6),
        (0, 2, 0, 0.2),
        # The kernel counts in steps, this process more finely.
        (10, 0, 10.004, 0.0),
    ],
)
def test_others_work_is_all_work_but_ones_own(machine, user_s, steal_s, own_s, share):
    start = CpuTime.now(machine("nothing", stat(idle=1000)))
    end = CpuTime.now(machine("nothing", stat(user_s * HZ, 9000, steal_s * HZ)))
    later = replace(end, clock_s=start.clock_s + 10 / os.cpu_count(), own_s=start.own_s + own_s)
    assert start.others_share(later) == pytest.approx(share)


def test_a_kernel_that_does_not_tell(machine):
    start = CpuTime.now(machine("nothing"))
    assert start.all_s is None and start.others_share(CpuTime.now(machine("pi 4"))) is None


def test_this_machine_tells():
    start = CpuTime.now()
    sum(range(100_000))
    assert start.others_share(CpuTime.now()) >= 0 and CpuTime.now().own_s >= start.own_s > 0
