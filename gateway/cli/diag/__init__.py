"""`reed-gateway diag`: what somebody who helps needs to know, and nothing that is secret."""
