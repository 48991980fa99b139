"""The live view: what `top` and the demo draw, and how they follow the gateway."""
