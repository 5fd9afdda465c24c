"""Names of the numbers in audit policy events of Windows. Facts only.

Source: spec/analysis.md 18.5.
"""

from __future__ import annotations

_SYSTEM, _LOGON, _ACCESS, _PRIVILEGE, _TRACKING, _POLICY, _ACCOUNTS, _DIRECTORY, _ACCOUNT_LOGON = range(
    8272, 8281
)

_NAMES: dict[int, tuple[str, int, list[str]]] = {
    _SYSTEM: (
        "System", 12288,
        ["Security State Change", "Security System Extension", "System Integrity", "IPsec Driver",
         "Other System Events"],
    ),
    _LOGON: (
        "Logon/Logoff", 12544,
        ["Logon", "Logoff", "Account Lockout", "IPsec Main Mode", "Special Logon", "IPSec Extended Mode",
         "IPSec Quick Mode", "Other Logon/Logoff Events", "Network Policy Server", "User/Device Claims",
         "Group Membership"],
    ),
    _ACCESS: (
        "Object Access", 12800,
        ["File System", "Registry", "Kernel Object", "SAM", "Other Object Access Events", "Certification Services",
         "Application Generated", "Handle Manipulation", "File Share", "Filtering Platform Packet Drop",
         "Filtering Platform Connection", "Detailed File Share", "Removable Storage", "Central Policy Staging"],
    ),
    _PRIVILEGE: (
        "Privilege Use", 13056,
        ["Sensitive Privilege Use", "Non Sensitive Privilege Use", "Other Privilege Use Events"],
    ),
    _TRACKING: (
        "Detailed Tracking", 13312,
        ["Process Creation", "Process Termination", "DPAPI Activity", "RPC Events", "Plug and Play Events",
         "Token Right Adjusted Events"],
    ),
    _POLICY: (
        "Policy Change", 13568,
        ["Audit Policy Change", "Authentication Policy Change", "Authorization Policy Change",
         "MPSSVC Rule-Level Policy Change", "Filtering Platform Policy Change", "Other Policy Change Events"],
    ),
    _ACCOUNTS: (
        "Account Management", 13824,
        ["User Account Management", "Computer Account Management", "Security Group Management",
         "Distribution Group Management", "Application Group Management", "Other Account Management Events"],
    ),
    _DIRECTORY: (
        "DS Access", 14080,
        ["Directory Service Access", "Directory Service Changes", "Directory Service Replication",
         "Detailed Directory Service Replication"],
    ),
    _ACCOUNT_LOGON: (
        "Account Logon", 14336,
        ["Credential Validation", "Kerberos Service Ticket Operations", "Other Account Logon Events",
         "Kerberos Authentication Service"],
    ),
}  # fmt: skip

CATEGORIES = {f"%%{number}": name for number, (name, _, _) in _NAMES.items()}
SUBCATEGORIES = {
    f"%%{first + place}": name for _, first, names in _NAMES.values() for place, name in enumerate(names)
}
CHANGES = {
    "%%8448": "Success removed",
    "%%8449": "Success added",
    "%%8450": "Failure removed",
    "%%8451": "Failure added",
}
