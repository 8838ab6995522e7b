"""Training of recognisers and of the finder of lines."""

import os

# albumentations asks for its newest version otherwise, and complains where there is no network.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
