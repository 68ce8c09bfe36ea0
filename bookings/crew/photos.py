"""What customers have sent of the work, for who comes and the office."""

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from bookings import crew
from bookings.models import VisitPhoto
from bookings.views.photos import jpeg


@require_safe
@never_cache
def photo(request: HttpRequest, pk: int) -> HttpResponse:
    """One photo of a visit; the URLconf asks for the whole login, as for the admin."""
    user: User | AnonymousUser = request.user
    if not crew.may_see(user):
        raise PermissionDenied
    visible = crew.visible(VisitPhoto.objects.all(), user, by="booking__handyman__user")
    return jpeg(get_object_or_404(visible, pk=pk))
