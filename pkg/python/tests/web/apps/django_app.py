"""A Django project in one file, for WSGI (`wsgi`) and ASGI (`asgi`)."""

import os

import django
from django.conf import settings as django_settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from settings import OPTIONS

from keybound.django import require

django_settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["keybound.django.KeyboundMiddleware"],
    KEYBOUND=OPTIONS,
    APPEND_SLASH=False,
    FORCE_SCRIPT_NAME=os.environ.get("FORCE_SCRIPT_NAME"),
)
django.setup()


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


def vault(request: HttpRequest) -> HttpResponse:
    """Protected by the middleware alone."""
    return HttpResponse("gold")


@require("write")
def write(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"wrote": True})


@require("write")
async def write_async(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"wrote": True})


def echo(request: HttpRequest, rest: str) -> JsonResponse:
    principal = request.principal  # type: ignore[attr-defined]
    return JsonResponse({"path": request.path, "subject": principal.subject, "thumbprint": principal.thumbprint})


urlpatterns = [
    path("health", health),
    path("api/vault", vault),
    path("api/write", write_async if os.environ.get("ASGI") else write),
    path("api/", echo, {"rest": ""}),
    path("api/<path:rest>", echo),
]

if os.environ.get("ASGI"):
    asgi = get_asgi_application()
else:
    wsgi = get_wsgi_application()
