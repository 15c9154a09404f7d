#include "TestGuests.h"
