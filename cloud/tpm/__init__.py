"""The other half of a TPM's proof: what a maker's certificate and the chip's own signatures really say.

Nothing here needs a TPM or its libraries. Facts are from the TPM 2.0 Library specification (1.59), parts 1
and 2, and from the TCG EK Credential Profile 2.5.
"""
