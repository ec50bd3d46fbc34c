"""What a visit costs: queries and time, shown on the page and sent in the Server-Timing header."""

import time
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone


class Meter:
    """Counts queries, and the time since it was made."""

    def __init__(self) -> None:
        self.started_at = timezone.now()
        self.queries = 0
        self._started_s = time.perf_counter()

    def count_query(self, execute: Callable[..., Any], *args: object) -> Any:
        """Count one query and run it; the shape that `connection.execute_wrapper` asks for."""
        self.queries += 1
        return execute(*args)

    @property
    def ms(self) -> float:
        """Milliseconds since the meter was made."""
        return (time.perf_counter() - self._started_s) * 1000


def meter_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Meter every visit.

    The strip at the end of a page prints the meter's reading while it is rendered, so a cached copy keeps the cost of its making.
    What *this* visit cost goes into a header, which no copy keeps; the page's script reads it there.
    """

    def metered(request: HttpRequest) -> HttpResponse:
        request.meter = meter = Meter()  # type: ignore[attr-defined]  # how a middleware hands something to the templates
        with connection.execute_wrapper(meter.count_query):
            response = get_response(request)
        response["Server-Timing"] = f'queries;desc="{meter.queries}", total;dur={meter.ms:.2f}'
        return response

    return metered
