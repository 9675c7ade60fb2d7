"""Plans as text for people and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dcp_tutor.plans.loading import LoadPlan
    from dcp_tutor.plans.saving import SavePlan


def load_form(plan: LoadPlan) -> dict[str, Any]:
    """Make the JSON form of a load."""
    return {"form": "dcp-tutor/load-plan/1", "layout": str(plan.layout)}


def save_form(plan: SavePlan) -> dict[str, Any]:
    """Make the JSON form of a save."""
    return {"form": "dcp-tutor/save-plan/1", "layout": str(plan.layout)}


def load_text(plan: LoadPlan) -> str:
    """Write a load for people."""
    return repr(plan)


def save_text(plan: SavePlan) -> str:
    """Write a save for people."""
    return repr(plan)
