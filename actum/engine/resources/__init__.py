"""What steps must share: pools, rate limits and circuit breakers, and who gets them when."""

from actum.engine.resources.declared import Breaker, Pool, Quota, RateLimit, Resources

__all__ = ["Breaker", "Pool", "Quota", "RateLimit", "Resources"]
