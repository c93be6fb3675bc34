"""`python -m tweetscore` is the command `tweetscore`."""

from scorer.cli import main

if __name__ == "__main__":  # a worker process of multiprocessing imports this file, too
    main()
