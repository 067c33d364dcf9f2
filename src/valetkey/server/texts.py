"""What account holders read, in one place, so that translations can be added: keys stay, texts change.

Stars make a part strong; values in braces are put in escaped.  Account holders are told of "your account", the product
and the workspace; never of owners, credentials, scopes or tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from markupsafe import Markup, escape

ENGLISH: Final[Mapping[str, str]] = {
    # the page that a link opens
    "connect.title": "Connect your {provider} account to {product}",
    "connect.for": "For the workspace *{workspace}*. {product} will be able to:",
    "connect.for_nobody": "{product} will be able to:",
    "connect.go": "Continue to {provider}",
    "connect.not_now": "Not now",
    "connect.password": "You sign in at {provider}. {product} never sees your password. You can disconnect at any time,"
    " at {product} or at {provider}.",
    "connect.not_yours": "Not your workspace? Then do not continue.",
    "connect.not_asked": "You did not expect this page? Then do not continue.",
    "connect.privacy": "Privacy at {product}",
    "connect.works": "Works once, in this browser, for {time}",
    "connect.other": "Use your {provider} account in the ways that {provider} shows you next",
    # what the provider's address depends on
    "params.intro": "So that you get to the right place at {provider}, tell us:",
    "params.title": "Connect your {provider} account",
    "params.again": "Please look at this once more:",
    "params.example": "For example *{example}*",
    "params.more": "{more}. For example *{example}*",
    "params.empty": "Please fill this in.",
    "params.choose": "Please choose one of the list.",
    "params.like": "This cannot be right. It looks like *{example}*, for example.",
    "params.wrong": "This cannot be right. Letters, digits, dots and hyphens are all there is in it.",
    "connect.leaving": "On to {provider}",
    "connect.leaving_more": "You sign in there, and come back here.",
    "connect.leaving_fine": "Nothing happens? Use the button. The sign-in has to end in this browser, within 10"
    " minutes.",
    # the application has the last word
    "confirm.title": "One more step at {product}",
    "confirm.more": "You signed in at {provider}. {product} finishes the rest.",
    "confirm.go": "Continue to {product}",
    "confirm.fine": "Nothing happens? Use the button. Without it nothing is connected, and after 10 minutes the sign-in"
    " is withdrawn.",
    "unconfirmed.title": "It was not finished",
    "unconfirmed.text": "{product} did not finish the last step in time, so the sign-in was withdrawn. Nothing was"
    " connected.",
    # outcomes
    "done.title": "{provider} is connected",
    "done.as": "{product} now works with *{account}*.",
    "done.plain": "{product} now works with your {provider} account.",
    "done.close": "You can close this page.",
    "declined.title": "Nothing was connected",
    "declined.text": "You chose not to go on. {product} got nothing from your {provider} account.",
    "denied.title": "Nothing was connected",
    "denied.text": "You, or an administrator of your organization, did not allow the access. {product} got nothing from"
    " your {provider} account.",
    "pending.title": "An administrator has to approve this",
    "pending.text": "{provider} has passed the request on to an administrator of your organization. When it is"
    " approved, open this page again and continue.",
    "missing.title": "One permission is missing",
    "missing.text": "You connected *{account}* without:",
    "missing.plain": "You connected your account without:",
    "missing.other": "Something that {product} asks for",
    "missing.allow": "Allow it",
    "missing.without": "Continue without it",
    "error.title": "{provider} could not be connected",
    "error.text": "This is a problem in the set-up of {product}, or at {provider}, not with your account. Please try"
    " again later.",
    "error.mention": "If you contact {product}, mention",
    "expired.title": "This link has expired",
    "expired.text": "Links work once, and for a limited time. Ask {product} for a new one.",
    "used.title": "This link was used already",
    "used.text": "Links work once. If it was not you, tell {product}. To connect again, ask for a new one.",
    "unknown.title": "This link is not complete",
    "unknown.text": "It may have been cut off on its way. Open it again from where you got it, or ask for a new one.",
    "browser.title": "This link belongs to another browser",
    "browser.text": "It was begun in another browser or on another device, and can only be finished there. If it was"
    " not you, tell {product} and ask for a new link.",
    "cookie.title": "We could not match this answer to your request",
    "cookie.text": "Nothing was connected. Open the link again and finish in the same browser, with cookies allowed for"
    " {host}.",
    "ended.title": "There is nothing here any more",
    "ended.text": "How a sign-in ended is shown for ten minutes, in the browser that made it.",
    "person.title": "This link is for somebody else",
    "person.text": "You are signed in to {product} as another person than the one whom the link is for. Nothing was"
    " connected.",
    "person.nobody": "Sign in to {product} first, as the one who got the link, and open it again.",
    "help": "Help from {product}:",
    "again": "Try again",
    "back": "Back to {product}",
    "product.unknown": "this application",
    # another account than before
    "other.title": "This is another account",
    "other.text": "You signed in to {provider} with a different account than before. Nothing has changed yet.",
    "other.before": "Until now",
    "other.now": "Now",
    "other.question": "What should we do?",
    "other.keep": "Keep {account}",
    "other.keep_more": "The sign-in just made is withdrawn.",
    "other.second": "Add {account} as a second account",
    "other.second_more": "Both are kept. Give it a name, to tell the two apart.",
    "other.label": "Name of the second account",
    "other.no_label": "Give the second account a name.",
    "other.taken": "There is an account of that name already. Choose another.",
    "other.continue": "Continue",
    "other.fine": "Without an answer the new sign-in is withdrawn and everything stays as it was:",
    "other.kept.title": "Nothing was changed",
    "other.kept.text": "{product} goes on with the account that you connected before.",
    "other.over.title": "There is no question any more",
    "other.over.text": "It was answered already, or its ten minutes are over. Nothing was changed.",
    # your connected accounts
    "accounts.title": "Your connected accounts",
    "accounts.sub": "What {product} may use for the workspace {workspace}. You can end it at any time.",
    "accounts.sub_nobody": "What {product} may use. You can end it at any time.",
    "accounts.none": "Nothing is connected yet.",
    "accounts.can": "Accounts that you can connect",
    "accounts.connect": "Connect",
    "accounts.another": "Add another",
    "accounts.refresh": "Refresh",
    "accounts.again": "Sign in again",
    "accounts.disconnect": "Disconnect",
    "accounts.unnamed": "Your {provider} account",
    "accounts.used": "Last used {time}.",
    "accounts.never_used": "Not used yet.",
    "accounts.connected": "Connected",
    "accounts.paused": "Paused",
    "accounts.paused_more": "A problem on our side. You need not do anything.",
    "accounts.sign_in": "Sign in again",
    "accounts.sign_in_more": "{provider} no longer accepts the access. It does not work until you sign in again.",
    "accounts.not": "Not connected",
    "accounts.label": "Name",
    "accounts.label_more": "To tell your accounts apart, such as \u201cwork\u201d.",
    "accounts.refreshed": "The access was renewed.",
    "accounts.refresh_failed": "It could not be renewed just now. Try again later.",
    "accounts.end_title": "Disconnect {account}?",
    "accounts.end_text": "{product} will no longer be able to use it.",
    "accounts.end_fine": "The access is withdrawn at {provider} as well, where {provider} allows it. You can connect"
    " again whenever you like.",
    "accounts.keep": "Keep it",
    "accounts.ended": "Disconnected.",
    "accounts.person.title": "You are signed in as somebody else",
    "accounts.person.text": "You are signed in to {product} as another person than the one who began. Nothing was"
    " connected.",
    "accounts.nobody.title": "Sign in first",
    "accounts.nobody.text": "Sign in to {product}, then open this page again.",
}
LANGUAGES: Final[Mapping[str, Mapping[str, str]]] = {"en": ENGLISH}

_OPENING: Final = re.compile(r"(?:^|(?<=[.?!] ))\{product\}")
"""Where a sentence begins with the product."""


def said(key: str, language: str = "en", **values: object) -> Markup:
    """Return a text with its values, safe for a page.

    Raises:
        KeyError: There is no such text, or it needs a value that was not given.
    """
    texts = {**ENGLISH, **LANGUAGES.get(language, ENGLISH)}
    template, unknown = texts[key], texts["product.unknown"]
    if values.get("product") == unknown:  # a brand is written as it wants to be, this as words are
        template = _OPENING.sub(f"{unknown[:1].upper()}{unknown[1:]}", template)
    parts = str(escape(template)).split("*")
    marked = "".join(f'<b class="strong">{part}</b>' if at % 2 else part for at, part in enumerate(parts))
    return Markup(marked.format(**{name: escape(value) for name, value in values.items()}))  # noqa: S704 - both are escaped
