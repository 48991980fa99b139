"""What docs/performance.md reports: ratios against a floor or a peer, measured in the same run."""
