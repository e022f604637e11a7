"""What would collide if these processes shared one container: from programs to findings (pure, standard library only).

`image/lint` reads the programs from files.
"""
