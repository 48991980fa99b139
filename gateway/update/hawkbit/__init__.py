"""Orders from an Eclipse hawkBit server: it decides who gets what and when, never what is trusted.

It is spoken to as a device does, through its Direct Device Integration API (DDI). Facts from hawkBit's own
documents: https://hawkbit.eclipse.dev/rest-api/ddi.html and docs/authentication.md of its repository.
"""
