"""Digital lines on the kernel's GPIO character device."""
