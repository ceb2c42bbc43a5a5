/* The MESSAGE_ID of each event: random, and stable for ever, since operators filter by them. Each
 * has an entry in systemd/recseal.catalog that says what it means and what to do. */
#pragma once

#define EVENT_ID_STARTED              "11092464860ee1042d67a4841692b833"
#define EVENT_ID_SEALED               "5af9c9eecf601ee2af6cf5580dd8dc57"
#define EVENT_ID_QUARANTINED          "99f808c7e1b41374509dfe2865633b08"
#define EVENT_ID_DAMAGED              "642dc557ad98a95e2819891a6bd4ae08"
#define EVENT_ID_SPOOL_TROUBLE        "7503afbed901ec1c6a8facb02cf3cda8"
#define EVENT_ID_SPOOL_FULL           "3bd64d31d22ea265c0c6e069c2bfed80"
#define EVENT_ID_SPOOL_HELD           "7cbf45133c8a3a8ffef9f5dc59e751a8"
#define EVENT_ID_STALE                "684b1288a1f6452cb0fa5e87f053eb2d"
#define EVENT_ID_DISCARDED            "2554ddea593e4a42a94ccdd467d351b7"
#define EVENT_ID_ALREADY              "fa74ae62e92273136f14ae81f123523a"
#define EVENT_ID_KEY_TROUBLE          "4652b67b31da9d9abd8fdf9b7df23568"
#define EVENT_ID_CLOCK                "98a5e217688cf25fbf9c0ee28f2b71c9"
#define EVENT_ID_SHRED_PENDING        "d9cd0a8b911dd0ec9cb80ebcac8cb6b1"
#define EVENT_ID_DESTROYED            "ceac5674376f0e5600140dc190aded62"
#define EVENT_ID_REFUSED              "5caa43d181a64c19e82ed9be0f01cf09"
#define EVENT_ID_RESURRECTION_REFUSED "fc3afe6bbd219a5325c2f7d52009f432"
#define EVENT_ID_AUDIT_BROKEN         "cff1603350da6f528ed8be1dcda7c39d"
#define EVENT_ID_ALTERED              "6e5f461c960c404580547ab4d8a6a9fe"
