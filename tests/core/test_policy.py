"""Severities and losses: from the catalogue, the choices of `classes` and `objects`, `issues`, and `on_error`."""

from __future__ import annotations

from typing import Any

import pytest

from maskflow_adapters.shapes import ShapesOptions
from maskflow_convert import Config, Issue, Loss
from maskflow_convert.config import Source
from maskflow_convert.errors import IssueError
from maskflow_convert.policy import Policy


def policy(**sections: Any) -> Policy:
    return Policy.of(Config(sources=(Source(adapter="shapes", options=ShapesOptions()),), **sections))


SEVERITIES = [
    ({}, "image-missing", "error"),
    ({}, "polygon-outside-image", "warning"),
    ({}, "object-lost-with-image", "ignore"),
    ({}, "class-unknown", "error"),
    ({"classes": {"unknown": "skip"}}, "class-unknown", "warning"),
    ({}, "mask-empty", "warning"),
    ({"objects": {"empty": "error"}}, "mask-empty", "error"),
    ({}, "object-box-only", "error"),
    ({"objects": {"boxes": "skip"}}, "object-box-only", "warning"),
    ({}, "object-crowd", "warning"),
    ({"issues": {"object-crowd": "error"}}, "object-crowd", "error"),
    ({"issues": {"image-missing": "warning"}}, "image-missing", "warning"),
    ({"issues": {"polygon-outside-image": "ignore"}}, "polygon-outside-image", "ignore"),
    ({"issues": {"mask-empty": "ignore"}, "objects": {"empty": "error"}}, "mask-empty", "ignore"),
    ({"issues": {"class-unknown": "error"}, "classes": {"unknown": "skip"}}, "class-unknown", "error"),
]


class TestPolicy:
    @pytest.mark.parametrize(("sections", "code", "severity"), SEVERITIES)
    def test_severity(self, sections, code, severity):
        judged = policy(on_error="skip-object", **sections).judge(Issue(code, "m", record="a"))
        assert (judged.severity, judged.loss, judged.record) == (severity, None, "a")

    @pytest.mark.parametrize("severity", ["error", "warning", "ignore"])
    def test_a_fault_is_a_loss_whatever_its_severity(self, severity):
        chosen = policy(on_error="skip-object", issues={"image-missing": severity})
        assert chosen.fault(Issue("image-missing", "m"), Loss.IMAGE).loss is Loss.IMAGE

    @pytest.mark.parametrize(("severity", "loss"), [("error", Loss.OBJECT), ("warning", None), ("ignore", None)])
    def test_a_doubt_is_a_loss_if_it_is_an_error(self, severity, loss):
        chosen = policy(on_error="skip-object", issues={"polygon-outside-image": severity})
        assert chosen.doubt(Issue("polygon-outside-image", "m"), Loss.OBJECT).loss is loss

    @pytest.mark.parametrize("method", ["judge", "fault", "doubt"])
    @pytest.mark.parametrize("severity", ["error", "warning", "ignore"])
    @pytest.mark.parametrize("on_error", ["stop", "skip-object", "skip-image"])
    def test_stops_at_errors_only(self, method, severity, on_error):
        chosen = policy(on_error=on_error, issues={"mask-empty": severity})
        arguments = () if method == "judge" else (Loss.OBJECT,)
        if (severity, on_error) == ("error", "stop"):
            with pytest.raises(IssueError, match=r"error: m \[mask-empty\]"):
                getattr(chosen, method)(Issue("mask-empty", "m"), *arguments)
        else:
            assert getattr(chosen, method)(Issue("mask-empty", "m"), *arguments).severity == severity
