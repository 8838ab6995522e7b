"""The one error that a user may see, and what to say of those of the machine."""

from __future__ import annotations


class InputError(ValueError):
    """Something in the user's input is wrong.

    The message is one sentence that names the file or the value and says what to do. Command lines print it
    to stderr and exit with code 2 (`htr.cli.run`).
    """


def first_line(error: Exception) -> str:
    """What an error of another library says, short enough for a sentence of ours; its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def gpu_failed(error: BaseException | None) -> bool:
    """Whether an error is of a GPU that PyTorch has no code for, or that does not work; not one of short memory, or of the program."""
    return isinstance(error, RuntimeError) and "CUDA error" in str(error) and "assert" not in str(error)


def gpu_full(error: BaseException | None) -> bool:
    """Whether an error is of a GPU that has too little memory left."""
    return isinstance(error, RuntimeError) and "CUDA out of memory" in str(error)


# How PyTorch, OpenCV and NumPy say so on a CPU, and the system, which may have ended a process that loads lines.
_NO_MEMORY = (
    "not enough memory",
    "Cannot allocate memory",
    "Insufficient memory",
    "Unable to allocate",
    "is killed by signal: Killed",
    "is killed by signal: Bus error",
)


def memory_short(error: Exception) -> bool:
    """Whether an error is of a computer that has too little memory left."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def without_gpu(error: BaseException) -> str:
    """What to say of such errors."""
    return (
        f"the GPU cannot be used ({first_line(error)}); to do without it, put CUDA_VISIBLE_DEVICES= before the command"
    )
