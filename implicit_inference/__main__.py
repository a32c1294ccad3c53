"""The entry of the command line: it stands before anything that takes time to import."""

from implicit_inference.runs import process


def main() -> None:
    """Runs the command line as a process of its own; ends the process."""
    process.begin("implicit-inference")
    from implicit_inference import cli

    process.leave(cli.main)


if __name__ == "__main__":
    main()
