"""The topology of a spec as a picture: `drawing` says what is in it, `layout` where, `svg` and `mermaid` write it."""
