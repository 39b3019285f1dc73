"""What a perfect swap between two actors looks like, exactly."""

from __future__ import annotations

from dataclasses import replace

from likeness.actor.actor import Actor
from likeness.actor.paint import paint_head


def with_face_of(actor: Actor, source: Actor) -> Actor:
    """Return an actor with another one's face: the truth of a swap, whatever both perform.

    From the source: the shape of face and head, lips, irises, brows, stubble, freckles, lines,
    lashes and every mark of the skin. From the actor: hair, neck, clothes, light, the wall, and
    the tone of the skin, because neck and ears keep theirs.

    Args:
        actor: whose head is kept (the target of a swap).
        source: whose face is put on it.
    """
    theirs = source.look
    look = replace(
        actor.look,
        shape=theirs.shape,
        lips=theirs.lips,
        iris=theirs.iris,
        brow=theirs.brow,
        brow_weight=theirs.brow_weight,
        stubble=theirs.stubble,
        freckles=theirs.freckles,
        blush=theirs.blush,
        age=theirs.age,
        lashes=theirs.lashes,
    )
    made = Actor.from_look(look, actor.model)
    line = None if made.hair is None else made.hair.line
    skin = paint_head(made.body, replace(look, seed=theirs.seed), made.neutral, line)
    return replace(made, head_texture=skin)
