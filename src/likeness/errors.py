"""Everything that can go wrong, as a tree.

    LikenessError
    ├── MediaError        a file cannot be read or written as video, picture or sound
    ├── TrackError        no usable face was found
    ├── FitError          the face model cannot be brought onto the track
    ├── BundleError       a bundle, shot or face model is missing, damaged or of another kind
    ├── ContractError     data handed from one stage to the next breaks its type's rules
    ├── ConfigError       a setting is unknown or out of its range
    ├── ConsentError      nobody agreed to this use of a person's likeness
    └── BackendError      a library, model or device that was asked for is not usable here

A message says what was found, what was expected, and what to do next.
"""


class LikenessError(Exception):
    """Root of all errors that this package raises on purpose."""


class MediaError(LikenessError):
    """A file cannot be read or written as video, picture or sound."""


class TrackError(LikenessError):
    """No usable face was found."""


class FitError(LikenessError):
    """The face model cannot be brought onto the track."""


class BundleError(LikenessError):
    """A bundle, shot or face model on disk is missing, damaged or of another kind."""


class ContractError(LikenessError):
    """Data handed from one stage to the next breaks its type's rules."""


class ConfigError(LikenessError):
    """A setting is unknown or out of its range."""


class ConsentError(LikenessError):
    """Nobody agreed to this use of a person's likeness."""


class BackendError(LikenessError):
    """A library, model or device that was asked for is not usable here."""
