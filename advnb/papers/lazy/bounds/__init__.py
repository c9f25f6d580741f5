"""The lemmas of Wang et al. (2022): ``printed`` bounds, ``mended`` ones, ``uniform`` for B.9, what is ``measured``."""
