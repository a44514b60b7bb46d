"""What the tests share: a venue in a folder, a camera without faces, faults, and vectors."""
