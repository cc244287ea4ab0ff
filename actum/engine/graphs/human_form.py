"""The forms that pipelines of other systems show to people, as far as yes or no and a comment can answer them.

Such a form is `{"ui_schema": {"title": …, "fields": [{"name", "type": "radio", "options": […]}, …]}}`. An
approval here is granted or rejected, with a comment; what asks for more is refused rather than half asked.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["answer", "title_of", "unanswerable"]

_CHOICES: Final = ("radio", "select", "choice", "buttons")
_TEXTS: Final = ("textarea", "text", "string", "comment")
_YES: Final = ("approve", "approved", "accept", "yes", "ok")
_NO: Final = ("reject", "rejected", "decline", "no", "deny")


def title_of(shown: Any) -> str:
    """The question a form puts, or "" when it says none."""
    form = _form(shown)
    for text in (shown.get("prompt"), form.get("title")) if isinstance(shown, dict) else ():
        if isinstance(text, str) and text.strip():
            return text.strip()
    return ""


def unanswerable(shown: Any) -> str:
    """Why granting or rejecting cannot answer this form; "" when it can."""
    for field in _fields(shown):
        name, type_ = field.get("name"), field.get("type")
        if type_ in _TEXTS:
            continue
        if type_ not in _CHOICES:
            return f"the field {name!r} is of type {type_!r}; an approval answers yes or no, with a comment"
        for option in _options(field):
            if str(option).lower() not in _YES + _NO:
                return f"the field {name!r} offers {option!r}; an approval answers yes or no, with a comment"
    return ""


def answer(shown: Any, status: str, by: str, comment: str) -> dict[str, Any]:
    """What an answered approval returns to the workflow, with the form's own fields filled in."""
    given: dict[str, Any] = {}
    for field in _fields(shown):
        name = field.get("name")
        if not isinstance(name, str):
            continue
        if field.get("type") in _TEXTS:
            given[name] = comment
        else:
            fitting = _YES if status == "approved" else _NO
            given[name] = next((one for one in _options(field) if str(one).lower() in fitting), status)
    return {**given, "status": status, "by": by, "comment": comment}


def _form(shown: Any) -> dict[str, Any]:
    form = shown.get("ui_schema") if isinstance(shown, dict) else None
    return form if isinstance(form, dict) else {}


def _fields(shown: Any) -> list[dict[str, Any]]:
    fields = _form(shown).get("fields")
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _options(field: dict[str, Any]) -> list[Any]:
    options = field.get("options")
    if not isinstance(options, list):
        return []
    return [option.get("value") if isinstance(option, dict) else option for option in options]
