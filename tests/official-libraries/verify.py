"""Judges requests with the providers' own libraries: one JSON object a line comes in,
`taken` or why not goes out."""

import base64
import json
import sys

import standardwebhooks
import stripe
import svix


def verify(library, secret, headers, body):
    """Raises what the library does when it does not take the request."""
    if library == "stripe":
        stripe.Webhook.construct_event(body, headers["stripe-signature"], secret)
    elif library == "svix":
        svix.Webhook(secret).verify(body, headers)
    elif library == "standardwebhooks":
        standardwebhooks.Webhook(secret).verify(body, headers)
    else:
        raise ValueError(f"no such library: {library}")


for line in sys.stdin:
    question = json.loads(line)
    question["body"] = base64.b64decode(question["body"])
    try:
        verify(**question)
        print("taken", flush=True)
    except Exception as error:
        print(f"{type(error).__name__} {error}".replace("\n", " "), flush=True)
