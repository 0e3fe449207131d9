"""Events of an event camera to frames, voxel grids and time surfaces, inside jit; from videos.

Polarity is channel 0 (off, darker) or 1 (on, brighter), as in Tonic. The size of a sensor is
`(height, width)`, the order of the array's axes; in Tonic it is `(width, height, 2)`.

Events that are masked, off the sensor, or at a time that is not finite are left out: they
affect neither values nor derivatives. Sizes are static Python ints, so another size compiles
again.
"""

from ._averaged_time_surface import to_averaged_time_surface as to_averaged_time_surface
from ._events import Events as Events
from ._frames import LeftOut as LeftOut
from ._frames import count_left_out as count_left_out
from ._frames import to_frames as to_frames
from ._frames import to_frames_by_count as to_frames_by_count
from ._time_surface import to_time_surface as to_time_surface
from ._video import from_video as from_video
from ._voxel_grid import to_voxel_grid as to_voxel_grid
