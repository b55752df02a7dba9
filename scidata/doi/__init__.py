"""DOIs of versions at DataCite: preview, draft, publish, update, hide, show."""

from scidata.doi.client import Patience
from scidata.doi.life import (
    Done,
    Preview,
    Seen,
    draft,
    hide,
    preview,
    publish,
    show,
    update,
)
from scidata.doi.session import DoiOptions
from scidata.doi.settling import Step

__all__ = [
    "DoiOptions",
    "Done",
    "Patience",
    "Preview",
    "Seen",
    "Step",
    "draft",
    "hide",
    "preview",
    "publish",
    "show",
    "update",
]
