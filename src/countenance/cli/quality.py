"""countenance quality: what a picture is like, and what to do about it. Nothing that tells people apart is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from countenance.cli.common import JsonOption, print_out, read


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quality")(quality)


def quality(
    image: Annotated[Path, typer.Argument(help="A picture with one face.")],
    smallest: Annotated[int, typer.Option(min=20, help="How wide the face is at least, in pixels.")] = 160,
    pack: Annotated[str, typer.Option(help="The model pack.")] = "dlib-resnet",
    as_json: JsonOption = False,
) -> None:
    """Show the quality of a face image by ISO/IEC 29794-5, as OFIQ maps it, and whether it would do to enrol.

    Figures from 0 (bad) to 100 (good). Those that need a network are named as not assessed.
    """
    from countenance.vision import image as images
    from countenance.vision import quality as faces
    from countenance.vision.face_quality import Extremes
    from countenance.vision.pack_runtime import FacePack

    opened = FacePack.open(pack)
    frame = images.decode(read(image))
    found = opened.detect(frame, smallest)
    made = opened.assess(frame, found, faces.the_one_face(found, frame, faces.Policy(smallest_face_px=smallest)))
    advice = made.advice(Extremes())
    rows = {name: {"native": one.native, "scalar": one.scalar} for name, one in made.components.items()}
    print_out(as_json, {"enrols": not advice, "advice": list(advice), "components": rows,
                        "not_assessed": list(made.not_assessed)},
              "This picture would do to enrol with." if not advice else advice[1], "",
              *(f"{name:<30} {one['scalar']:>4} {one['native']:>10.3f}" for name, one in rows.items()), "",
              f"Not assessed: {', '.join(made.not_assessed)}.")
