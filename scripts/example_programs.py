"""The example registry's programs: static ELF files put together from bytes.

No compiler is needed, and the same bytes come out everywhere. A program is
one loadable segment: header, code, text.
"""

from __future__ import annotations

import struct

_BASE = 0x400000
_HEADER = 64 + 56  # ELF header and one program header
_MACHINES = {"amd64": 62, "arm64": 183}

# Counts words (runs of bytes above the space) on standard input, one read a byte.
_WORDCOUNT_AMD64 = bytes.fromhex(
    "31db"  #         xor  ebx, ebx          words
    "31ed"  #         xor  ebp, ebp          inside a word?
    "4883ec20"  #     sub  rsp, 32           the byte read, later the digits
    "31c0"  #   read: xor  eax, eax          read(0, rsp, 1)
    "31ff"  #         xor  edi, edi
    "4889e6"  #       mov  rsi, rsp
    "ba01000000"  #   mov  edx, 1
    "0f05"  #         syscall
    "83f801"  #       cmp  eax, 1
    "7516"  #         jne  done
    "31c0"  #         xor  eax, eax
    "803c2420"  #     cmp  byte [rsp], 32
    "0f97c0"  #       seta al
    "89c1"  #         mov  ecx, eax
    "83f501"  #       xor  ebp, 1
    "21e8"  #         and  eax, ebp          a word starts here
    "01c3"  #         add  ebx, eax
    "89cd"  #         mov  ebp, ecx
    "ebd7"  #         jmp  read
    "488d74241f"  # done: lea rsi, [rsp+31]
    "c6060a"  #       mov  byte [rsi], 10
    "89d8"  #         mov  eax, ebx
    "b90a000000"  #   mov  ecx, 10
    "31d2"  #  digit: xor  edx, edx
    "f7f1"  #         div  ecx
    "80c230"  #       add  dl, '0'
    "48ffce"  #       dec  rsi
    "8816"  #         mov  [rsi], dl
    "85c0"  #         test eax, eax
    "75f0"  #         jnz  digit
    "488d542420"  #   lea  rdx, [rsp+32]
    "4829f2"  #       sub  rdx, rsi
    "b801000000"  #   mov  eax, 1            write(1, rsi, rdx)
    "bf01000000"  #   mov  edi, 1
    "0f05"  #         syscall
    "b83c000000"  #   mov  eax, 60           exit(0)
    "31ff"  #         xor  edi, edi
    "0f05"  #         syscall
)


def greeting(text: str, architecture: str) -> bytes:
    """Return a program for linux that writes `text` and ends with status 0."""
    message = text.encode()
    code = _say_amd64(len(message)) if architecture == "amd64" else _say_arm64(len(message))
    return _elf(code + message, architecture)


def wordcount() -> bytes:
    """Return a program for linux/amd64 that counts the words on its standard input."""
    return _elf(_WORDCOUNT_AMD64, "amd64")


def _say_amd64(length: int) -> bytes:
    tail = bytes.fromhex("0f05 b83c000000 31ff 0f05")  # syscall; exit(0)
    size_of_mov = 5
    to_message = size_of_mov + len(tail)
    head = bytes.fromhex("b801000000 bf01000000")  # mov eax, 1 (write); mov edi, 1
    head += b"\x48\x8d\x35" + struct.pack("<i", to_message)  # lea rsi, [rip+to_message]
    return head + b"\xba" + struct.pack("<I", length) + tail  # mov edx, length


def _say_arm64(length: int) -> bytes:
    words = [
        0xD2800020,  # mov x0, 1
        0x10000001 | (7 * 4 >> 2) << 5,  # adr x1, the seventh word from here
        0xD2800002 | length << 5,  # mov x2, length
        0xD2800808,  # mov x8, 64 (write)
        0xD4000001,  # svc 0
        0xD2800000,  # mov x0, 0
        0xD2800BA8,  # mov x8, 93 (exit)
        0xD4000001,  # svc 0
    ]
    return struct.pack(f"<{len(words)}I", *words)


def _elf(code: bytes, architecture: str) -> bytes:
    total = _HEADER + len(code)
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)  # 64 bits, little-endian, version 1
    header = struct.pack(
        "<HHIQQQIHHHHHH",
        *(2, _MACHINES[architecture], 1),  # executable, machine, version
        *(_BASE + _HEADER, 64, 0, 0),  # entry, program headers, no sections, flags
        *(64, 56, 1, 64, 0, 0),  # sizes and counts of the headers
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, total, total, 0x10000)
    return ident + header + segment + code
