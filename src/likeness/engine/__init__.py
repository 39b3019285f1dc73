"""Where work is done that is shared out: processes of this machine, or a Ray cluster."""

from likeness.engine.protocol import Engine, EngineName, Send, Work, WorkerError, open_engine

__all__ = ["Engine", "EngineName", "Send", "Work", "WorkerError", "open_engine"]
