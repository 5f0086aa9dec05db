"""In-memory fakes of every port, proven equal to the real adapters by shared contract suites."""
