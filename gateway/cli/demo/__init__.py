"""`make demo`: broker, cloud and building on one machine."""
