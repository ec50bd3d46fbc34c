"""The site as a WSGI application, for runserver and for servers with several workers."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cookbook_site.settings")

application = get_wsgi_application()
