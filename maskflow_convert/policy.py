"""What an issue costs, by the configuration: one policy for every command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from maskflow_convert.catalogue import CATALOGUE, Severity
from maskflow_convert.config import Answer, Config, OnError
from maskflow_convert.errors import IssueError
from maskflow_convert.issues import Issue, Loss


@dataclass(frozen=True)
class Policy:
    """Severities where they differ from the catalogue's, what an error does to the run, which codes are repaired."""

    severities: Mapping[str, Severity]
    on_error: OnError
    repaired: frozenset[str] = frozenset()

    @classmethod
    def of(cls, config: Config) -> Policy:
        """The policy that a configuration states, in `issues:` by code and in `classes:` and `objects:` by choice."""
        chosen = {
            "class-unknown": config.classes.unknown,
            "mask-empty": config.objects.empty,
            "object-box-only": config.objects.boxes,
        }
        severities = {
            code: Severity.ERROR if choice == "error" else Severity.WARNING for code, choice in chosen.items()
        }
        severities |= {code: Severity(answer) for code, answer in config.issues.items() if answer is not Answer.FIX}
        repaired = frozenset(code for code, answer in config.issues.items() if answer is Answer.FIX)
        return cls(severities, config.on_error, repaired)

    def severity_of(self, code: str) -> Severity:
        """How bad an issue of that code is, unless who finds it says otherwise."""
        return self.severities.get(code, CATALOGUE[code].severity)

    def errors_among(self, codes: Iterable[str]) -> frozenset[str]:
        """The codes whose issues are errors."""
        return frozenset(code for code in codes if self.severity_of(code) is Severity.ERROR)

    def repair(self, issue: Issue) -> Issue:
        """Judge an issue that is repaired: it is a warning, and costs nothing."""
        return replace(issue, severity=Severity.WARNING, fixed=True)

    def fault(self, issue: Issue, loss: Loss) -> Issue:
        """Judge an issue that leaves nothing to write: the loss is certain, whatever the severity.

        Raises:
            IssueError: it is of severity error and the run stops on errors.
        """
        return replace(self.judge(issue), loss=loss)

    def doubt(self, issue: Issue, loss: Loss) -> Issue:
        """Judge an issue with something that could be written: it is lost only for an error.

        Raises:
            IssueError: as in `fault`.
        """
        judged = self.judge(issue)
        return replace(judged, loss=loss) if judged.severity is Severity.ERROR else judged

    def judge(self, issue: Issue) -> Issue:
        """The issue with its severity.

        Raises:
            IssueError: as in `fault`.
        """
        severity = self.severities.get(issue.code, issue.severity or issue.rule.severity)
        judged = replace(issue, severity=severity)
        if severity is Severity.ERROR and self.on_error is OnError.STOP:
            raise IssueError(judged)
        return judged
