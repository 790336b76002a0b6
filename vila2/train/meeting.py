"""Where the processes of one machine meet: at addresses that no other machine reaches."""

from __future__ import annotations

import socket
from typing import Any

import torch

_HERE = "127.0.0.1"


def meeting_place() -> Any:
    """A store of torch.distributed at a free port of this machine alone.

    By itself a store listens to other machines too. It is opened before the processes start, so that no port
    is chosen that another program may take meanwhile.
    """
    distributed: Any = torch.distributed  # its types leave TCPStore out
    listener = socket.create_server((_HERE, 0))
    port = listener.getsockname()[1]
    # The store closes the listener's descriptor when it is gone.
    return distributed.TCPStore(
        _HERE, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )


def own_interface() -> dict[str, str]:
    """The variables that make gloo and NCCL use the interface that leads to no other machine."""
    name = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    return {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name} if name else {}
