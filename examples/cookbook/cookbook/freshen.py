"""Every edit freshens the site's pages at once.

A page is made of many rows, and any of them may change it: a label that is renamed changes on forty cards. This module does the
simple thing that is right: after any change of the cookbook is committed, it clears the cache of the pages. Purge by tag, which
drops only the pages that show the changed rows, comes later.

Two limits. A page that was being rendered while the edit committed can be stored just after the clear, and then lives until its
ttl ends. And what sends no signals (`QuerySet.update`, bulk writes, SQL by hand) must call `freshen_pages` itself.
"""

from django.conf import settings
from django.core.cache import caches
from django.db import models, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import receiver


def freshen_pages() -> None:
    """Drop every cached page of the site, in the cache that `cache_page` uses."""
    caches[settings.CACHE_MIDDLEWARE_ALIAS].clear()


@receiver([post_save, post_delete, m2m_changed])
def freshen_after_commit(sender: type[models.Model], using: str, **_: object) -> None:
    """Freshen the pages when a change of the cookbook has been committed.

    Not before: a visitor who came between the clear and the commit would have the old page stored again. Not when it is rolled
    back either. A form that saves several rows clears several times, which costs a scan each and harms nothing.
    """
    if sender._meta.app_label == "cookbook":  # noqa: SLF001 - `_meta` is documented for everybody's use
        transaction.on_commit(freshen_pages, using=using)
