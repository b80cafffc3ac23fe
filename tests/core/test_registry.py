"""Plugins: found, blocked, recorded when broken; a directed call sees one backend."""

from __future__ import annotations

import logging
import types
from collections.abc import Callable, Iterator
from importlib import metadata

import pytest

from ragd_tune import hookimpl, hookspecs
from ragd_tune.backends import Availability, Backend, train_cells
from ragd_tune.errors import NotInstalledError, PluginError
from ragd_tune.objectives import Objective
from ragd_tune.plan import Event
from ragd_tune.registry import Registry, blocked


def backend(name: str) -> Backend:
    return Backend(
        name=name,
        title=name,
        train_cells=train_cells(("contrastive",), ("full",), ("cpu",)),
        serve_cells=frozenset(),
        detect=lambda: Availability(devices=("cpu",)),
    )


def plugin(name: str, **hooks: Callable[..., object]) -> types.ModuleType:
    module = types.ModuleType(name)

    @hookimpl
    def ragd_tune_backends() -> list[Backend]:
        return [backend(name)]

    @hookimpl
    def ragd_tune_generate(prompts: list[str]) -> list[str]:
        return [f"{name}: {prompt}" for prompt in prompts]

    made = {"ragd_tune_backends": ragd_tune_backends, "ragd_tune_generate": ragd_tune_generate}
    for hook, function in {**made, **hooks}.items():
        setattr(module, hook, function)
    return module


def generate(registry: Registry, name: str) -> object:
    return registry.call(name, "ragd_tune_generate", model=None, prompts=["x"], limits=None)


def test_a_directed_call_sees_one_backend_whatever_the_order_of_registration() -> None:
    for order in (("a", "b"), ("b", "a")):
        registry = Registry()
        for name in order:
            assert registry.register(plugin(name), name=name)
        assert generate(registry, "a") == ["a: x"]
        assert generate(registry, "b") == ["b: x"]


def test_a_plugin_that_registers_later_does_not_slip_into_an_old_call() -> None:
    registry = Registry()
    registry.register(plugin("a"), name="a")
    assert generate(registry, "a") == ["a: x"]
    registry.register(plugin("b"), name="b")
    assert generate(registry, "a") == ["a: x"]


def test_wrappers_of_other_plugins_still_run() -> None:
    registry = Registry()
    seen = []

    class Watcher:
        @hookimpl(wrapper=True)
        def ragd_tune_generate(self, prompts: list[str]) -> Iterator[None]:
            seen.append(prompts)
            return (yield)

    registry.register(plugin("a"), name="a")
    assert registry.register(Watcher(), name="watcher")
    assert generate(registry, "a") == ["a: x"]
    assert seen == [["x"]]


def test_a_plugin_with_a_directed_hook_and_no_backend_is_refused() -> None:
    class Lost:
        @hookimpl
        def ragd_tune_generate(self, prompts: list[str]) -> list[str]:
            return prompts

    registry = Registry()
    assert not registry.register(Lost(), name="lost")
    assert "declares no backend" in registry.plugins[0].error


def test_two_plugins_of_one_name_are_an_error_that_names_both_distributions() -> None:
    registry = Registry()
    registry.register(plugin("a"), name="same", distribution="first-dist")
    assert not registry.register(plugin("b"), name="same", distribution="second-dist")
    broken = [one for one in registry.plugins if one.state == "broken"]
    assert "first-dist" in broken[0].error
    assert "second-dist" in broken[0].error
    assert list(registry.backends) == ["a"]
    assert generate(registry, "a") == ["a: x"]


def test_two_plugins_that_bring_the_same_backend_are_an_error_that_names_both() -> None:
    registry = Registry()
    registry.register(plugin("a"), name="one", distribution="first-dist")
    assert not registry.register(plugin("a"), name="two", distribution="second-dist")
    told = [one.error for one in registry.plugins if one.state == "broken"]
    assert "first-dist" in told[0]
    assert "second-dist" in told[0]


def test_a_third_partys_objective_joins_those_of_the_core_and_may_not_replace_them() -> None:
    def bringing(name: str) -> types.ModuleType:
        module = types.ModuleType(name)

        @hookimpl
        def ragd_tune_objectives() -> list[Objective]:
            return [Objective(id=name, title=name, fields=())]

        module.ragd_tune_objectives = ragd_tune_objectives  # type: ignore[attr-defined]
        return module

    registry = Registry()
    assert registry.register(bringing("sparse"), name="sparse")
    assert "sparse" in registry.objectives
    assert not registry.register(bringing("contrastive"), name="greedy")
    assert registry.objectives["contrastive"].fields


@pytest.mark.parametrize(
    ("hook", "function", "message"),
    [
        ("ragd_tune_backends", lambda: 1 / 0, "ZeroDivisionError"),
        ("ragd_tune_backends", lambda: ["no backend"], "AttributeError"),
        ("ragd_tune_backends", lambda: [backend("x"), backend("x")], "twice"),
        ("ragd_tune_model_kinds", lambda: [backend("x")], "is not a ModelKind"),
        ("ragd_tune_nonsense", lambda: None, "unknown hook"),
        ("ragd_tune_train", lambda nonsense: None, "nonsense"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_recorded_and_unregistered_whole(
    hook: str, function: Callable[..., object], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry()
    registry.register(plugin("good"), name="good")
    with caplog.at_level(logging.WARNING):
        assert not registry.register(plugin("bad", **{hook: hookimpl(function)}), name="bad")
    told = {one.name: one for one in registry.plugins}
    assert told["bad"].state == "broken"
    assert message in told["bad"].error
    assert "bad" in caplog.text
    assert list(registry.backends) == ["good"]
    assert generate(registry, "good") == ["good: x"]
    with pytest.raises(PluginError, match=message):
        registry.backend("bad")


class _Point(metadata.EntryPoint):
    """An entry point whose module is made up."""

    def load(self) -> object:
        if self.value == "broken":
            raise SystemExit("the import ended the program")
        return plugin(self.name)


def test_a_plugin_whose_import_ends_the_program_does_not_end_ours() -> None:
    registry = Registry()
    points = [_Point("bad", "broken", "ragd_tune"), _Point("good", "fine", "ragd_tune")]
    registry.load(points)
    assert list(registry.backends) == ["good"]
    with pytest.raises(PluginError, match="the import ended the program"):
        registry.backend("bad")


def test_a_blocked_plugin_is_not_imported_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGD_TUNE_DISABLE", "bad, other")
    registry = Registry()
    registry.load([_Point("bad", "broken", "ragd_tune")], blocked())
    assert registry.plugins[0].state == "blocked"
    with pytest.raises(PluginError, match="is blocked"):
        registry.backend("bad")


def test_a_name_that_nobody_has_says_what_there_is() -> None:
    registry = Registry()
    registry.register(plugin("a"), name="a")
    with pytest.raises(NotInstalledError, match="no backend 'b'; installed: a") as caught:
        registry.backend("b")
    assert caught.value.exit_code == 4
    with pytest.raises(NotInstalledError, match="no kind of model 'b'; installed: none"):
        registry.kind("b")


def test_a_backend_that_does_not_answer_a_hook_is_named() -> None:
    registry = Registry()
    registry.register(plugin("a"), name="a")
    with pytest.raises(PluginError, match="a does not answer ragd_tune_export"):
        registry.call("a", "ragd_tune_export", model=None, format="x", out=None)


def test_an_observer_that_raises_stops_neither_the_run_nor_the_other_observers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[Event] = []

    class Bad:
        @hookimpl
        def ragd_tune_event(self, event: Event) -> None:
            raise RuntimeError("full disk")

    class Good:
        @hookimpl
        def ragd_tune_event(self, event: Event) -> None:
            seen.append(event)

    registry = Registry()
    registry.register(Good(), name="good")
    registry.register(Bad(), name="bad")
    registry.emit(Event(type="step", step=1))
    assert [event.step for event in seen] == [1]
    assert "the plugin bad failed on an event" in caplog.text


def test_every_hook_is_collected_directed_or_broadcast() -> None:
    hooks = {name for name in vars(hookspecs) if name.startswith("ragd_tune_")}
    sorts = (*hookspecs.COLLECTED, *hookspecs.DIRECTED, *hookspecs.BROADCAST)
    assert hooks == set(sorts)
    assert len(sorts) == len(hooks)
