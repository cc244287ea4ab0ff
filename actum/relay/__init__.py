"""Who else is told: events from the log, in order and at least once, to NATS JetStream, Redis streams and webhooks."""

from actum.relay.ledger import Ledger, RelayRow
from actum.relay.message import Message, message_of
from actum.relay.registry import TARGETS, open_target
from actum.relay.relay import Relay
from actum.relay.target import Target

__all__ = ["TARGETS", "Ledger", "Message", "Relay", "RelayRow", "Target", "message_of", "open_target"]
