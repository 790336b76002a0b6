"""Where the processes that train together meet: on one machine at addresses that no other machine reaches."""

from __future__ import annotations

import socket
from typing import Any

import torch

#: The address of a machine that no other machine reaches.
HERE = "127.0.0.1"


def meeting_place(host: str = HERE, port: int = 0) -> Any:
    """A store of torch.distributed at a port of this machine.

    By itself a store listens to other machines too; here it does so only where ``host`` leads to other
    machines. It is opened before the processes start, so that no port is chosen that another program may
    take meanwhile.

    Args:
        host: address at which others find it.
        port: port; 0 for any that is free.

    Raises:
        OSError: the port is taken.
    """
    distributed: Any = torch.distributed  # its types leave TCPStore out
    if is_own_address(host):
        listener = socket.create_server((HERE, port))
    elif socket.has_dualstack_ipv6():
        listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    else:
        listener = socket.create_server(("", port))
    port = listener.getsockname()[1]
    # The store closes the listener's descriptor when it is gone.
    return distributed.TCPStore(
        HERE, port, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach()
    )


def is_own_address(host: str) -> bool:
    """Whether an address is one that no other machine reaches."""
    return host == "localhost" or host.startswith("127.")


def own_interface() -> dict[str, str]:
    """The variables that make gloo and NCCL use the interface that leads to no other machine."""
    name = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    return {"GLOO_SOCKET_IFNAME": name, "NCCL_SOCKET_IFNAME": name} if name else {}
