"""Questions to a running program over HTTP: httpx's own five seconds are less than a busy machine may take."""

from __future__ import annotations

from functools import partial

import httpx

from waiting import WITHIN_S

get = partial(httpx.get, timeout=WITHIN_S)
post = partial(httpx.post, timeout=WITHIN_S)
put = partial(httpx.put, timeout=WITHIN_S)
delete = partial(httpx.delete, timeout=WITHIN_S)
