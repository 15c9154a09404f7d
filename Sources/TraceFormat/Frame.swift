import VirtualPC
