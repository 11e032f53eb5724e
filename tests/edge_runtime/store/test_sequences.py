"""Any calls in any order, against a model of a store that fits into a few lines."""

from contextlib import suppress

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from edge_runtime.store.errors import StoreBusy, StoreError
from edge_runtime.store.state import STARTS
from edge_runtime.store.store import Store

VERSIONS = st.sampled_from("1234")


def test_any_calls_in_any_order(memory, packed, links, clock):
    files = {}
    for version in "1234":
        files[version] = memory / f"{version}.tflite"
        files[version].write_bytes(packed(version))
    made = []

    class Calls(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            root = memory / f"store{len(made)}"
            root.mkdir()
            made.append(root)
            self.store = Store(root / "tiny", clock)
            self.store.add(files["1"], by="test")
            self.store.switch("1", by="test")
            self.there, self.current, self.previous, self.before = ["1"], "1", None, None
            self.on_trial, self.starts, self.left_s = False, 0, 0.0

        def back(self):
            """What a failed trial leaves."""
            if self.previous:
                self.current, self.previous = self.previous, self.before
            self.on_trial = False

        @rule(version=VERSIONS)
        def add(self, version):
            did = self.store.add(files[version], by="test")[1]
            assert did == ("already" if version in self.there else "added")
            self.there += [version] if did == "added" else []

        @rule(version=VERSIONS, healthy_s=st.none() | st.just(30.0))
        def switch(self, version, healthy_s):
            try:
                did = self.store.switch(version, healthy_s=healthy_s, by="test")
            except StoreBusy:
                assert self.on_trial and version != self.current
            except StoreError:
                assert version not in self.there
            else:
                assert did == ("already" if version == self.current else "switched")
                if did == "switched":
                    assert not self.on_trial
                    self.before = self.previous if healthy_s else None
                    self.current, self.previous = version, self.current
                    self.on_trial, self.starts, self.left_s = healthy_s is not None, 0, 210.0

        @rule()
        def rollback(self):
            try:
                self.store.rollback(by="test")
            except StoreError:
                assert self.previous is None
            else:
                left = self.before if self.on_trial else self.current
                self.current, self.previous, self.on_trial = self.previous, left, False

        @rule(version=VERSIONS)
        def confirm(self, version):
            with suppress(StoreError):
                self.store.confirm(version, by="test")
                assert version == self.current
                self.on_trial = False

        @rule(count=st.integers(1, 4))
        def keep(self, count):
            removed = self.store.keep(count, by="test")
            needed = {self.current, self.previous, self.before if self.on_trial else None}
            assert list(removed) == [version for version in self.there[:-count] if version not in needed]
            self.there = [version for version in self.there if version not in removed]

        @rule()
        def start(self):
            self.store.started("loop")
            if self.on_trial and self.starts == STARTS:
                self.back()
            elif self.on_trial:
                self.starts += 1

        @rule(seconds=st.sampled_from([1.0, 100.0, 300.0]))
        def wait(self, seconds):
            clock.uptime_s += seconds
            self.left_s -= seconds
            self.store.settle("test")
            if self.on_trial and self.left_s <= 0:
                self.back()

        @rule()
        def boot(self):
            clock.restart()
            self.left_s = 210.0
            self.store.settle("test")

        @invariant()
        def it_is_as_the_model_says(self):
            if made:
                assert links(self.store) == (self.current, self.previous)
                state = self.store.state()
                assert (state.current, state.previous, list(state.added)) == (
                    *(self.current, self.previous),
                    self.there,
                )
                assert (state.trial is not None) == self.on_trial
                assert self.store.history().damaged_lines == 0

    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    run_state_machine_as_test(
        Calls,
        settings=settings(
            max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=checks
        ),
    )
