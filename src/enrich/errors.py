"""The errors of `enrich`, split by who must act.

```
EnrichError
├── UserError       a person must change something: one line of what, where and what to do; exit code 1 (or the one it carries)
├── AnswerError     this page's answer cannot be used; the run goes on
└── ServiceError    the model's service: `final` tells whether trying again can help
```
Anything else is a bug and keeps its traceback. Errors of other libraries are translated where they enter (STYLE.md 5).
"""

from __future__ import annotations


class EnrichError(Exception):
    """The root of everything `enrich` raises on purpose."""


class UserError(EnrichError):
    """A person must act. `what` went wrong, `where` (file, line, key, page; may be ""), what to `do` (may be "")."""

    def __init__(self, what: str, *, where: str = "", do: str = "", exit_code: int = 1) -> None:
        self.what, self.where, self.do, self.exit_code = what, where, do, exit_code
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The error as the one line that is printed."""
        text = (f"{self.where}: {self.what}" if self.where else self.what).rstrip(".")
        return f"{text}. {self.do[:1].upper()}{self.do[1:]}" if self.do else text


class AnswerError(EnrichError):
    """One answer cannot be used: `cause` is a short stable word (`refused`, `filtered`, `invalid`, `cut-off`, …), `detail` says more."""

    def __init__(self, cause: str, detail: str = "") -> None:
        self.cause, self.detail = cause, detail
        super().__init__(f"{cause}: {detail}" if detail else cause)


class ServiceError(EnrichError):
    """The model's service failed: `cause` is a short stable word (`auth`, `quota`, `model`, `timeout`, `server`, …).

    `final` means that no later request of this run can succeed (bad key, exhausted quota, unknown model, breaker).
    """

    def __init__(self, cause: str, detail: str = "", *, final: bool = False, do: str = "") -> None:
        self.cause, self.detail, self.final, self.do = cause, detail, final, do
        super().__init__(f"{cause}: {detail}" if detail else cause)
