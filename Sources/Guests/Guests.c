#include "Guests.h"
