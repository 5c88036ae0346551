"""The measurements as a package, so that rows can import bench.context."""
