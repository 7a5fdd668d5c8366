"""The type checker of the shapes in icon's signatures: a whole number is a float, as it is to Python."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
