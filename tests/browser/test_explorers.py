"""The explorers in JupyterLab show what the planner says, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp

from dcp_tutor import plan_load, plan_save
from dcp_tutor.checkpoints import open_checkpoint
from dcp_tutor.checkpoints.text import bytes_text
from dcp_tutor.plans import LoadPlan
from dcp_tutor.views.explorers.resharding import READS_ON_A_PAGE
from dcp_tutor.views.pictures.palette import DARK, LIGHT

from .lab import Lab, OpenNotebook

pytestmark = pytest.mark.browser

TENSORS = {"net1.weight": (16, 8), "net1.bias": (16,), "net2.weight": (4, 16), "step": ()}
SAVED = plan_save(TENSORS, "fsdp=4")
SAVE = f"saved = tutor.plan_save({TENSORS!r}, 'fsdp=4')"
MOUSE, KEYS, MANY, MATRIX, CHECKPOINT, DAMAGED = range(1, 7)
MANY_READS = "tutor.explore_reshard(tutor.plan_save({'w': (512, 4)}, 'fsdp=64'), 'fsdp=32')"


@pytest.fixture(scope="module")
def checkpoints(lab: Lab) -> dict[str, Path]:
    """Two checkpoints in the learner's folder; of one, the file is cut."""
    paths = {}
    for name in ("whole", "cut"):
        model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 4))
        state = {"model": model.state_dict(), "note": ["an", "object"], "epoch": 3}
        writer = dcp.FileSystemWriter(lab.notebooks / name, sync_files=False)
        dcp.save(state, storage_writer=writer, no_dist=True)
        paths[name] = lab.notebooks / name
    [file] = paths["cut"].glob("*.distcp")
    file.write_bytes(file.read_bytes()[:-300])
    return paths


@pytest.fixture(scope="module")
def notebook(
    open_notebook: Callable[..., OpenNotebook], checkpoints: dict[str, Path]
) -> OpenNotebook:
    notebook = open_notebook(
        "explorers.ipynb",
        "import dcp_tutor as tutor\n" + SAVE,
        "tutor.explore_reshard(saved, 'fsdp=3')",
        "tutor.explore_reshard(saved, 'fsdp=3')",
        MANY_READS,
        MANY_READS,
        "tutor.explore_checkpoint('whole')",
        "tutor.explore_checkpoint('cut')",
    )
    notebook.run_all()
    notebook.cell(DAMAGED).locator("svg.file-map").wait_for()
    return notebook


def totals(explorer: Any) -> list[list[str]]:
    """Return the cells of the table of totals, once both plans are in it."""
    rows = explorer.locator("table", has_text="All ranks together").locator("tbody tr")
    rows.nth(1).filter(has_not_text="…").wait_for()
    return [row.locator("td").all_inner_texts() for row in rows.all()]


def planned(*plans: LoadPlan) -> list[list[str]]:
    return [
        [
            bytes_text(plan.needed_bytes),
            bytes_text(plan.read_bytes),
            f"{plan.amplification:.3g}",
            f"{plan.reads_count:,}",
            f"{plan.files_opened:,}",
        ]
        for plan in plans
    ]


def wait_for_layout(explorer: Any, layout: str, tensor: str) -> None:
    explorer.get_by_text(f'plan_load(checkpoint, "{layout}")').wait_for()
    explorer.locator("svg > text.big", has_text=tensor).wait_for()


def check(explorer: Any, layout: str, tensor: str) -> None:
    """Wait until this is shown, and compare everything with the plans."""
    wait_for_layout(explorer, layout, tensor)
    one, whole = plan_load(SAVED, layout, only=[tensor]), plan_load(SAVED, layout)
    assert totals(explorer) == planned(one, whole)
    drawn = [
        (read.get_attribute("data-rank"), read.get_attribute("data-chunk"),
         read.get_attribute("data-needed"), read.get_attribute("data-read"))
        for read in explorer.locator("svg g.read").all()
    ]  # fmt: skip
    reads = one[tensor].reads
    assert sorted(drawn) == sorted(
        (str(r.rank), str(r.chunk_number), str(r.needed_bytes), str(r.read_bytes)) for r in reads
    )
    rows = explorer.locator("table", has_text="from file").locator("tbody tr")
    assert [row.locator("th, td").all_inner_texts()[::2] for row in rows.all()] == [
        [str(r.rank), str(r.chunk.file), bytes_text(r.needed_bytes)] for r in reads
    ]


def lit(group: Any) -> bool:
    """Say whether a part of the drawing stands out."""
    return bool(group.evaluate("g => getComputedStyle(g).opacity === '1'"))


def visible_tips(explorer: Any) -> list[str]:
    return [
        " ".join(tip.locator("text").all_text_contents())
        for tip in explorer.locator("svg .tip").all()
        if tip.evaluate("t => getComputedStyle(t).visibility === 'visible'")
    ]


def test_by_mouse(notebook: OpenNotebook) -> None:
    explorer = notebook.cell(MOUSE).locator(".dcp-tutor-explorer")
    check(explorer, "fsdp=3", "net1.weight")
    notebook.shoot("reshard", explorer)

    explorer.get_by_role("button", name="HSDP").click()
    wait_for_layout(explorer, "replicate=3,shard=2", "net1.weight")
    explorer.get_by_label("replicate", exact=True).fill("2")
    explorer.get_by_label("replicate", exact=True).press("Enter")
    check(explorer, "replicate=2,shard=2", "net1.weight")

    explorer.get_by_role("button", name="FSDP + TP").click()
    explorer.get_by_label("tp shards dim").fill("1")
    explorer.get_by_label("tp shards dim").press("Enter")
    check(explorer, "fsdp=2,tp=2:Shard(1)", "net1.weight")

    explorer.get_by_label("Tensor").fill("net2.weight")
    check(explorer, "fsdp=2,tp=2:Shard(1)", "net2.weight")
    explorer.get_by_role("button", name="one process").click()
    check(explorer, "single", "net2.weight")
    notebook.shoot("reshard-single", explorer)
    assert notebook.errors == []


def test_a_read_lights_up_under_the_pointer(notebook: OpenNotebook) -> None:
    explorer = notebook.cell(KEYS).locator(".dcp-tutor-explorer")
    reads = explorer.locator("svg g.read")
    ribbon = explorer.locator('svg g.read[data-rank="1"][data-chunk="1"]')
    for part in (".part.source", ".ribbon", ".part.target"):
        ribbon.locator(part).hover()
        assert [lit(read) for read in reads.all()].count(True) == 1
        assert lit(ribbon)
        assert visible_tips(explorer) == [
            "rank 1 takes rows 6-7, columns 0-7 from __1_0.distcp: needs 64 B, reads 128 B"
        ]
    notebook.shoot("reshard-hover", explorer)
    explorer.get_by_text("All ranks together").hover()
    assert all(lit(read) for read in reads.all())
    assert visible_tips(explorer) == []


def test_by_keyboard_alone(notebook: OpenNotebook) -> None:
    explorer, press = (
        notebook.cell(KEYS).locator(".dcp-tutor-explorer"),
        notebook.page.keyboard.press,
    )
    explorer.get_by_label("Tensor").focus()
    press("Tab")
    press("Tab")  # past "the tensor before"
    press("Enter")
    check(explorer, "fsdp=3", "net1.bias")
    for _ in range(4):  # one tensor, whole model, FSDP, HSDP
        press("Tab")
    outline = "() => getComputedStyle(document.activeElement).outlineStyle !== 'none'"
    assert notebook.page.evaluate(outline)
    press("Enter")
    wait_for_layout(explorer, "replicate=3,shard=2", "net1.bias")
    for _ in range(4):  # FSDP + TP, one process, as written, the size
        press("Tab")
    press("ArrowDown")
    check(explorer, "replicate=2,shard=2", "net1.bias")
    press("ArrowUp")
    check(explorer, "replicate=3,shard=2", "net1.bias")

    press("Tab")  # the other size
    press("Tab")  # the first read
    first = explorer.locator("svg .answers").first
    notebook.wait_until("g => document.activeElement === g", first.element_handle())
    assert visible_tips(explorer) == [first.get_attribute("aria-label")]
    assert lit(first)
    notebook.shoot("reshard-focus", explorer)
    assert notebook.errors == []


def test_the_whole_model_as_a_matrix(notebook: OpenNotebook) -> None:
    explorer = notebook.cell(MATRIX).locator(".dcp-tutor-explorer")
    explorer.get_by_role("button", name="whole model").click()
    explorer.locator("svg.traffic-map").wait_for()
    plan = plan_load(plan_save({"w": (512, 4)}, "fsdp=64"), "fsdp=32")
    files = sorted({file for _, file in plan.matrix()}, key=lambda name: int(name.split("_")[2]))
    cells = {
        (int(cell.get_attribute("data-row")), files[int(cell.get_attribute("data-column"))]): int(
            cell.get_attribute("data-read")
        )
        for cell in explorer.locator("g.cell").all()
    }
    assert cells == plan.matrix()
    explorer.locator("g.cell").nth(5).hover()
    assert visible_tips(explorer) == ["rank 2: 128 B of __5_0.distcp"]
    notebook.shoot("matrix", explorer)


def test_many_reads_have_pages(notebook: OpenNotebook) -> None:
    explorer = notebook.cell(MANY).locator(".dcp-tutor-explorer")
    rows = explorer.locator("table", has_text="from file").locator("tbody tr")
    explorer.get_by_text(f"Reads: 1 to {READS_ON_A_PAGE} of 64 reads").wait_for()
    assert rows.count() == READS_ON_A_PAGE
    explorer.get_by_role("button", name="Next reads").click()
    explorer.get_by_text("Reads: 17 to 32 of 64 reads").wait_for()
    assert rows.first.locator("code").inner_text() == "__16_0.distcp"


def test_a_layout_that_is_none_gets_its_sentence(notebook: OpenNotebook) -> None:
    explorer = notebook.cell(MANY).locator(".dcp-tutor-explorer")
    explorer.get_by_role("button", name="as written").click()
    explorer.get_by_label("layout").fill("tp=4")
    explorer.get_by_label("layout").press("Enter")
    problem = explorer.get_by_role("alert")
    problem.get_by_text("how are tensors placed along the axis tp").wait_for()
    assert explorer.locator("svg.overlap-map").is_visible()  # what was shown stays
    explorer.get_by_label("layout").fill("tp=4:Shard(1)")
    explorer.get_by_label("layout").press("Enter")
    explorer.get_by_text('plan_load(checkpoint, "tp=4:Shard(1)")').wait_for()
    assert explorer.get_by_role("alert").count() == 0
    assert notebook.errors == []


def keys_of(explorer: Any) -> list[str]:
    """Return the lines of the tree, without what is aligned behind the keys."""
    rows = explorer.locator(".keys button:visible")
    texts = [text.replace("\u00a0", " ").strip() for text in rows.all_text_contents()]
    return [text.split("   ")[0] for text in texts]


def test_the_tree_unfolds_and_shows_where_bytes_lie(
    notebook: OpenNotebook, checkpoints: dict[str, Path]
) -> None:
    explorer, press = (
        notebook.cell(CHECKPOINT).locator(".dcp-tutor-explorer"), notebook.page.keyboard.press,
    )  # fmt: skip
    explorer.get_by_text("verify found nothing wrong").wait_for()
    tree = ["the whole checkpoint", "▸ model", "note", "epoch"]
    assert keys_of(explorer) == tree
    notebook.shoot("checkpoint", explorer)

    explorer.locator(".keys button").nth(1).focus()
    press("Enter")
    explorer.locator(".keys button", has_text="0.weight").or_(
        explorer.locator(".keys button", has_text="▸ 0")
    ).first.wait_for()
    press("Tab")
    press("Enter")
    explorer.locator(".keys button", has_text="weight").wait_for()
    press("Tab")
    press("Enter")
    explorer.get_by_text("model.0.weight: torch.float32 [16, 8]").wait_for()
    chunk = open_checkpoint(checkpoints["whole"])["model.0.weight"].chunks[0]
    row = explorer.locator("table", has_text="its place in the file").locator("tbody tr")
    assert row.locator("th, td").all_inner_texts()[:3] == [
        chunk.file, f"{chunk.byte_offset:,}", f"{chunk.byte_offset + chunk.byte_length - 1:,}",
    ]  # fmt: skip
    bright = [record for record in explorer.locator("g.record").all() if lit(record)]
    assert [record.get_attribute("data-start") for record in bright] == [str(chunk.byte_offset)]
    notebook.shoot("checkpoint-entry", explorer)
    assert notebook.errors == []


def test_a_search_lists_keys_in_full(notebook: OpenNotebook) -> None:
    explorer = notebook.cell(CHECKPOINT).locator(".dcp-tutor-explorer")
    explorer.get_by_label("Search").fill("BIAS")
    explorer.get_by_text("2 keys with 'BIAS'").wait_for()
    assert keys_of(explorer) == ["model.0.bias", "model.1.bias"]
    explorer.locator(".keys button").nth(1).click()
    explorer.get_by_text("model.1.bias: torch.float32 [4]").wait_for()
    explorer.get_by_label("Search").fill("")
    explorer.locator(".keys button", has_text="the whole checkpoint").wait_for()
    assert "bias" in keys_of(explorer)  # the tree is unfolded there


def test_what_verify_found_is_marked_where_it_is(
    notebook: OpenNotebook, checkpoints: dict[str, Path]
) -> None:
    explorer = notebook.cell(DAMAGED).locator(".dcp-tutor-explorer")
    findings = open_checkpoint(checkpoints["cut"]).verify()
    errors = [finding for finding in findings if finding.severity == "error"]
    assert errors
    explorer.get_by_role("alert").get_by_text("1 error").wait_for()
    explorer.get_by_text(errors[0].message).wait_for()
    marked = [line for line in keys_of(explorer) if line.startswith("✗")]
    assert "✗ the whole checkpoint" in marked
    notebook.shoot("checkpoint-damaged", explorer)


@pytest.mark.parametrize(("name", "theme"), [("Light", LIGHT), ("Dark", DARK)])
def test_the_drawing_takes_the_colours_of_the_page(
    open_notebook: Callable[..., OpenNotebook], name: str, theme: Any
) -> None:
    notebook = open_notebook(
        f"theme-{name}.ipynb", f"import dcp_tutor as tutor\n{SAVE}\ntutor.explore_reshard(saved)",
        theme=f"JupyterLab {name}",
    )  # fmt: skip
    # The system has the other kind of theme: the page's own counts.
    notebook.page.emulate_media(color_scheme="dark" if name == "Light" else "light")
    notebook.run_all()
    card = notebook.cell(0).locator("svg.overlap-map rect.card").first
    card.wait_for()
    fill = card.evaluate("r => getComputedStyle(r).fill")
    assert fill == f"rgb{tuple(int(theme.card[at : at + 2], 16) for at in (1, 3, 5))}"
    notebook.shoot(f"theme-{name.lower()}")
    assert notebook.errors == []
