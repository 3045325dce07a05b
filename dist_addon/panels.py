"""The DIST tab in the 3D viewport's sidebar. Draws, decides nothing."""

from __future__ import annotations

from typing import Any, ClassVar

import bpy

from . import (
    job_items,
    live,
    outlines,
    properties,
)
from .api import ViewCheck
from .inputs import find
from .labels import draw_text
from .operators import check_inputs, running
from .scene.axes import read_axes
from .scene.result import how_well, is_result, overlap, why_fixed
from .worker.dist_engine.protocol import IMPORT, RECONSTRUCT, RENDER, SHAPE, TRAIN, RequestError

STATE_ICONS: dict[str, Any] = {
    "queued": "TIME",
    "running": "PLAY",
    "paused": "PAUSE",
    "done": "CHECKMARK",
    "failed": "ERROR",
    "cancelled": "X",
    "interrupted": "UNLINKED",
}


# How many views are listed one by one.
MOST_VIEWS = 24


class DIST_Panel:
    """Where all panels of the add-on are."""

    bl_space_type: Any = "VIEW_3D"
    bl_region_type: Any = "UI"
    bl_category = "DIST"


class DIST_PT_inputs(DIST_Panel, bpy.types.Panel):
    """What to reconstruct from."""

    bl_idname = "DIST_PT_inputs"
    bl_label = "Inputs"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the cameras with their pictures and masks, and the points."""
        layout = form(self)
        settings = properties.of(context.scene)
        layout.prop(settings, "cameras")
        layout.operator("dist.import_cameras", icon="IMPORT")
        if settings.cameras is not None:
            draw_views(layout, settings)
        layout.prop(settings, "points")


class DIST_PT_views(DIST_Panel, bpy.types.Panel):
    """What there is of each view."""

    bl_idname = "DIST_PT_views"
    bl_label = "Views"
    bl_parent_id = "DIST_PT_inputs"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Without cameras there are none."""
        return properties.of(context.scene).cameras is not None

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list, as it was when the views were last looked at."""
        assert self.layout is not None
        draw_checks(self.layout, context)


class DIST_PT_prior(DIST_Panel, bpy.types.Panel):
    """What kind of thing it is."""

    bl_idname = "DIST_PT_prior"
    bl_label = "Shape Prior"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the prior with its picture, and where others come from."""
        layout: Any = self.layout
        settings = properties.of(context.scene)
        row = layout.row()
        row.template_icon_view(settings, "prior", show_labels=True, scale=3.0, scale_popup=5.0)
        column = row.column()
        column.prop(settings, "prior", text="")
        # In full it does not fit beside the picture.
        column.operator("dist.import_prior", text="Import", icon="IMPORT")
        draw_progress(layout, IMPORT)
        draw_outcome(layout, context, IMPORT)


class DIST_PT_train(DIST_Panel, bpy.types.Panel):
    """Make shape priors."""

    bl_idname = "DIST_PT_train"
    bl_label = "Train a Prior"
    bl_parent_id = "DIST_PT_prior"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw what to train from, the button and the running job."""
        layout = form(self)
        settings = properties.of(context.scene).training
        layout.prop(settings, "source")
        if settings.source == "COLLECTION":
            layout.prop(settings, "collection")
        else:
            layout.prop(settings, "folder")
            layout.prop(settings, "up")
            layout.prop(settings, "front")
        layout.prop(settings, "name")
        layout.prop(settings, "size")
        layout.prop(settings, "licence")
        draw_job(layout, context, TRAIN, "dist.train_prior", "OUTLINER_DATA_LIGHTPROBE")


class DIST_PT_bounds(DIST_Panel, bpy.types.Panel):
    """Where the thing is, roughly."""

    bl_idname = "DIST_PT_bounds"
    bl_label = "Bounds"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the Empty, and the button that makes it."""
        layout = form(self)
        layout.prop(properties.of(context.scene), "bounds")
        layout.operator("dist.make_bounds", icon="EMPTY_DATA")


class DIST_PT_fit(DIST_Panel, bpy.types.Panel):
    """How to reconstruct."""

    bl_idname = "DIST_PT_fit"
    bl_label = "Fit"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the fit's settings."""
        layout = form(self)
        settings = properties.of(context.scene)
        layout.prop(settings, "quality")
        layout.prop(settings, "start")
        if properties.shows(settings, "freedom"):
            layout.prop(settings, "freedom")
        column = layout.column(heading="Refine")
        for name in ("refine_shape", "refine_placement", "refine_cameras", "refine_focal_length"):
            if properties.shows(settings, name):
                column.prop(settings, name)


class DIST_PT_reconstruct(DIST_Panel, bpy.types.Panel):
    """Start a reconstruction and watch it."""

    bl_idname = "DIST_PT_reconstruct"
    bl_label = "Reconstruct"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the button and the running job."""
        layout: Any = self.layout
        draw_job(layout, context, RECONSTRUCT, "dist.reconstruct", "MOD_REMESH")
        row = layout.row(align=True)
        row.operator("dist.look_through", text="", icon="TRIA_LEFT").step = -1
        row.operator("dist.show_outlines", depress=outlines.overlay.shown, icon="OVERLAY")
        row.operator("dist.look_through", text="", icon="TRIA_RIGHT").step = 1
        space = context.space_data
        if (
            isinstance(space, bpy.types.SpaceView3D)
            and space.region_3d.view_perspective == "CAMERA"
            and (camera := outlines.camera_of(space, context.scene))
            and (cameras := properties.of(context.scene).cameras)
            and camera in cameras.all_objects.values()
        ):
            layout.label(text=f"Through “{camera.name}”", icon="VIEW_CAMERA")
            if found := overlap(context.scene, camera.name):
                layout.label(text=f"IoU of “{found[0]}” here: {found[1]:.0%}", icon="BLANK1")
        active = context.view_layer.objects.active
        if is_result(active) and active.session_uid not in running.jobs.outcome.added_uids:
            told, poor = how_well(active)
            if told:
                draw_text(layout, context, f"“{active.name}”: {told}", "ERROR" if poor else "INFO")


class DIST_PT_render(DIST_Panel, bpy.types.Panel):
    """Render a shape without a mesh."""

    bl_idname = "DIST_PT_render"
    bl_label = "Render Shape"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw which shape, the button and the running job."""
        layout = form(self)
        settings = properties.of(context.scene)
        active = context.view_layer.objects.active
        if is_result(active):
            layout.label(text=f"The shape of “{active.name}”", icon="OBJECT_DATA")
        else:
            layout.prop(settings, "prior")
            layout.prop(settings, "render_code")
        draw_job(layout, context, RENDER, "dist.render_shape", "RENDER_STILL")


class DIST_PT_shapes(DIST_Panel, bpy.types.Panel):
    """Make shapes without pictures, and change them."""

    bl_idname = "DIST_PT_shapes"
    bl_label = "Shapes"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw what to sample and to blend, and the active shape's sliders."""
        layout = form(self)
        settings = properties.of(context.scene)
        chosen = settings.shapes
        column = layout.column()
        column.prop(settings, "prior")
        column.prop(settings, "quality")
        column.prop(chosen, "seed")
        column.prop(chosen, "spread")
        draw_button(column, "dist.sample_shape", "OUTLINER_OB_MESH")
        column = layout.box().column()
        column.prop(chosen, "count")
        row = column.row()
        row.active = chosen.count == 1
        row.prop(chosen, "factor")
        draw_button(column, "dist.blend_shapes", "ARROW_LEFTRIGHT")
        draw_progress(layout, SHAPE)
        draw_outcome(layout, context, SHAPE)
        active = context.view_layer.objects.active
        if is_result(active):
            draw_axes(layout.box(), context, active)


class DIST_UL_jobs(bpy.types.UIList):
    """The list of jobs."""

    bl_idname = "DIST_UL_jobs"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: Any,
        item: Any,
        icon: int | None,
        active_data: Any,
        active_property: str | None,
        index: int | None = 0,
        flt_flag: int | None = 0,
    ) -> None:
        """Draw what the job is, how it stands, and since when."""
        row: Any = layout.row()
        row.label(text=item.name, icon=STATE_ICONS.get(item.state, "QUESTION"))
        run = running.jobs.queue.find(item.folder)
        measured = item.state == "running" and run and run.progress.detail
        told = f"{run.progress.factor:.0%}" if measured else item.state.capitalize()
        # The check mark says it, and the sidebar is narrow.
        if item.state != "done":
            row.label(text=told)
        when = row.row()
        when.alignment = "RIGHT"
        when.label(text=item.when)


class DIST_PT_jobs(DIST_Panel, bpy.types.Panel):
    """The jobs that wait and run, and earlier ones."""

    bl_idname = "DIST_PT_jobs"
    bl_label = "Jobs"
    bl_options: ClassVar = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list, and what can be done with the chosen job."""
        layout = self.layout
        assert layout is not None
        known: Any = job_items.of(context.window_manager)
        row = layout.row()
        row.template_list("DIST_UL_jobs", "", known, "jobs", known, "active_job", rows=4)
        side: Any = row.column(align=True)
        side.operator("dist.refresh_jobs", text="", icon="FILE_REFRESH")
        # Of a folder elsewhere.
        side.operator("dist.import_result", text="", icon="IMPORT")
        side.operator("dist.show_log", text="", icon="TEXT")
        side.operator("dist.open_job", text="", icon="FILE_FOLDER")
        side.operator("dist.remove_job", text="", icon="TRASH")
        item = job_items.active()
        if item is None:
            return
        if item.error:
            draw_text(layout, context, item.error, "ERROR")
        if running.jobs.queue.find(item.folder):
            button: Any = layout.operator("dist.cancel", icon="X")
            button.folder = item.folder
            return
        row = layout.row()
        if item.state == "done":
            button = row.operator("dist.import_result", icon="IMPORT")
            button.folder = item.folder
        else:
            row.operator("dist.resume_job", icon="PLAY")
        row.operator("dist.rerun_job", icon="LOOP_BACK")


def draw_views(layout: bpy.types.UILayout, settings: Any) -> None:
    """Draw the cameras' frames, pictures and masks."""
    views = settings.views
    if properties.shows(settings, "frames"):
        draw_input(layout.column(align=True), views, "frames")
        draw_input(layout, views, "tracks")
    draw_input(layout, views, "pictures")
    layout.prop(views, "mask_source")
    needed = {"FOLDER": "mask_folder", "MASK": "mask", "BACKGROUND": "mask_tolerance"}
    if views.mask_source in needed:
        layout.prop(views, needed[views.mask_source])
    draw_input(layout, views, "depths")
    draw_input(layout, views, "normals")
    draw_input(layout, views, "colours")


def draw_input(layout: bpy.types.UILayout, group: Any, name: str) -> None:
    """Draw an input's first field, and once it is chosen the others."""
    first, *others = find(name).fields
    layout.prop(group, first.name)
    if getattr(group, first.name) not in (None, ""):
        for field in others:
            layout.prop(group, field.name)


def draw_checks(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw what was found of each view when it was last looked at."""
    layout.operator("dist.check_inputs", icon="VIEWZOOM")
    found = check_inputs.views.found(context.scene)
    # Those with a problem first: the others say no more than that they are there.
    order = sorted(range(len(found)), key=lambda number: not found[number].problem)
    for number in order[:MOST_VIEWS]:
        check = found[number]
        row: Any = layout.row()
        row.template_icon(check_inputs.views.pictures.icon(str(number)), scale=2.0)
        column = row.column(align=True)
        icon: Any = "ERROR" if check.problem else "CHECKMARK"
        column.label(text=told_of(check), icon=icon)
        column.label(text=measures(check), icon="BLANK1")
        if check.problem:
            draw_text(layout, context, check.problem, "BLANK1")
    rest = order[MOST_VIEWS:]
    wrong = sum(bool(found[number].problem) for number in rest)
    if wrong:
        layout.label(text=f"{wrong} more with a problem", icon="ERROR")
    if len(rest) > wrong:
        layout.label(text=f"{len(rest) - wrong} more without a problem", icon="CHECKMARK")


def told_of(check: ViewCheck) -> str:
    """A view's name, and its picture's where that is another one."""
    picture = check.picture or "no picture"
    return picture if picture.rsplit(".", 1)[0] == check.name else f"{check.name}: {picture}"


def measures(check: ViewCheck) -> str:
    """A view's size, and how much of it is the thing, in words."""
    if check.size is None:
        return "No mask"
    width, height = check.size
    return f"{width} x {height}, " + (f"mask on {check.covered:.0%}" if check.covered else "no mask")


def draw_axes(layout: bpy.types.UILayout, context: bpy.types.Context, thing: bpy.types.Object) -> None:
    """Draw the sliders of a shape, or why there are none."""
    layout.label(text=f"Main axes of “{thing.name}”", icon="OBJECT_DATA")
    try:
        count = len(read_axes(thing).values())
    except RequestError as error:
        draw_text(layout, context, str(error), "INFO")
        return
    why = why_fixed(thing)
    column = layout.column(align=True)
    column.enabled = not why
    for axis in range(count):
        column.prop(thing.dist, "axes", index=axis, text=f"Axis {axis + 1}", slider=True)  # type: ignore[attr-defined]
    layout.operator("dist.reset_shape", icon="LOOP_BACK")
    if text := live.meshes.doing():
        layout.label(text=text, icon="TIME")
    if text := why or live.meshes.problem:
        draw_text(layout, context, text, "ERROR")


def form(panel: bpy.types.Panel) -> bpy.types.UILayout:
    """A panel's layout, with names to the left of values."""
    layout: Any = panel.layout
    layout.use_property_split = True
    layout.use_property_decorate = False
    return layout


def draw_job(layout: bpy.types.UILayout, context: bpy.types.Context, task: str, operator: str, icon: Any) -> None:
    """Draw the button that starts a task, how its jobs stand, and what came of the last one."""
    draw_button(layout, operator, icon)
    draw_progress(layout, task)
    draw_outcome(layout, context, task)


def draw_button(layout: bpy.types.UILayout, operator: str, icon: Any) -> None:
    """Draw a button that starts a task."""
    column = layout.column()
    column.scale_y = 1.4
    column.operator(operator, icon=icon)


def draw_progress(layout: bpy.types.UILayout, task: str) -> None:
    """Draw how the jobs of a task stand: the one that runs, and how many wait."""
    run = running.jobs.queue.current
    if run and run.task == task:
        progress = run.progress
        doing = "Cancelling" if run.cancelling else "Paused" if progress.paused else progress.message
        layout.label(text=f"{doing}, for a closed file" if run.file_closed else doing)
        # A stage of a single step has no measure: its bar would be empty to the end. What is below stays where it is.
        if progress.detail:
            layout.progress(text=progress.detail, factor=progress.factor, type="BAR")
        else:
            layout.label()
        row = layout.row(align=True)
        # Its icon alone: a narrow sidebar has no room for three names.
        row.operator("dist.pause", text="", icon="PLAY" if progress.paused else "PAUSE")
        if task in (RECONSTRUCT, TRAIN):
            row.operator("dist.finish", icon="CHECKMARK")
        row.operator("dist.cancel", icon="X")
        if curve := running.jobs.curve.icon(running.LOSSES):
            layout.template_icon(icon_value=curve, scale=6.0)
    waiting = sum(run.task == task for run in running.jobs.queue.runs[1:])
    if waiting:
        layout.label(text=f"In line: {waiting}", icon="TIME")


def draw_outcome(layout: bpy.types.UILayout, context: bpy.types.Context, task: str) -> None:
    """Draw what came of the last job, if it was of this task."""
    outcome = running.jobs.outcome
    if outcome.text and outcome.task == task:
        draw_text(layout, context, outcome.text, "ERROR" if outcome.failed else "INFO")


CLASSES = (
    DIST_UL_jobs,
    DIST_PT_inputs,
    DIST_PT_views,
    DIST_PT_prior,
    DIST_PT_train,
    DIST_PT_bounds,
    DIST_PT_fit,
    DIST_PT_reconstruct,
    DIST_PT_render,
    DIST_PT_shapes,
    DIST_PT_jobs,
)
