"""DOIs of versions at DataCite: preview, draft, register, publish, update, hide, show."""

from scidata.doi.client import Patience
from scidata.doi.life import (
    draft,
    hide,
    preview,
    publish,
    register,
    show,
    update,
)
from scidata.doi.results import Done, Preview, Seen
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
    "register",
    "show",
    "update",
]
